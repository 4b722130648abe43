"""What a device likes in 8 bits: operators, block types and whole models, INT8 against FP32."""
