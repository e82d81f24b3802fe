"""What people looked at: fixations, and the attention maps drawn from them."""
