"""Examines a host: what is wrong with it, and what to do about it. Changes nothing."""

from livefleet.doctor.examine import examine
from livefleet.doctor.needs import needs
from livefleet.doctor.outside import OutsideView, judge_outside, look_from_outside

__all__ = ["OutsideView", "examine", "judge_outside", "look_from_outside", "needs"]
