"""The classical detector: MFCC, prosody and spectral statistics of a window, judged by a forest, boosted trees and an SVM."""
