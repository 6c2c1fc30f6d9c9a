"""The lab: what rules would do, without sending anything."""
