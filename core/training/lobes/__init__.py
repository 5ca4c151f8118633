"""Label maps of whole lungs come in; a network that estimates lobes from the lungs' shape goes out.

label maps (`sources`) → lungs as disease and other programs leave them (`deformation`) → batches
(`batches`) → network and record (`fit`) → weights and card (`publishing`).
"""
