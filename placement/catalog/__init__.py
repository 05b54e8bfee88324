"""The catalog of GPUs, servers, profiles, models and shapes, and the roofline that its capacities come from."""

from placement.catalog.calibration import CalibrationReport, Comparison, Measurement
from placement.catalog.derive import derive

__all__ = ["CalibrationReport", "Comparison", "Measurement", "derive"]
