"""Measuring: contenders and their turns, warm-up, blocks, yardsticks, cold start, memory."""
