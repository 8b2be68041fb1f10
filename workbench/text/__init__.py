"""Text from outside, made safe and measured for a terminal."""
