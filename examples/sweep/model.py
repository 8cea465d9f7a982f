"""What is tried: prints the loss for two parameters as JSON. Stands for hours of training."""
import json
import math
import os

rate = float(os.environ["RATE"])
depth = int(os.environ["DEPTH"])
loss = abs(math.log10(rate) + 2) + (depth - 4) ** 2 / 10
print(json.dumps({"rate": rate, "depth": depth, "loss": round(loss, 4)}))
