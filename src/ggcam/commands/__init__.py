"""The commands, one module each: parse, call, print. Heavy imports happen inside the function that needs them."""
