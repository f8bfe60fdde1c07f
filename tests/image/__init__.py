"""Builds the image of docker/Dockerfile without a container engine, and runs it as a container would."""
