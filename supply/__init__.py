"""What streamagg is made of: pinned packages, the C libraries inside them, and a bill of materials."""
