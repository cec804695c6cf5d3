"""Model servers as KServe InferenceServices: one immutable object per model version."""
