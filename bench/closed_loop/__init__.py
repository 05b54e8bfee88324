"""Measuring what decides, in a closed loop: infer, plan, rank, measure, and again."""
