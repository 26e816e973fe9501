"""What later papers change in a converted network: numbers of layers, from calibration images; V(0), for each image."""
