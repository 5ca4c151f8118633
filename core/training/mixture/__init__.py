"""Sets that differ in what they know come in; one network that learned from all of them goes out.

scans (`sources`) → who stays together (`folds`) → a frame of a slice (`frames`) → worse pictures
(`degrading`) → batches (`batches`) → network and record (`fit`).
"""
