"""Networks: any feature extractor with a CAM head. They never see gaze."""
