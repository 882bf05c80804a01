"""A student and its teachers as the rows of a sweep file, the student first."""

POINTS = """
[[point]]
name = "KD4MTL"
model.system = "kd4mtl"
needs = ["STAN"]
[[point]]
name = "STAN"
model.system = "stan"
model.tasks = ["segmentation"]
[[point]]
name = "STAN"
model.system = "stan"
model.tasks = ["depth"]
"""
