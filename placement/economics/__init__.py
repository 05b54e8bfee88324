"""What a plan earns against what it costs: net present value and payback, per site and in total."""

from placement.economics.value import Earned, Stage, Value, valued

__all__ = ["Earned", "Stage", "Value", "valued"]
