"""Stands for a backup: says what it would have saved, and when. Fails where it should be looked at in the morning."""
import datetime
import os
import sys

source = os.environ.get("BACKUP_SOURCE", "/etc")
try:
    files = sum(len(names) for _, _, names in os.walk(source))
except OSError as error:
    sys.exit(f"{source}: {error}")
if files == 0:
    sys.exit(f"nothing to save in {source}")
print(f"{datetime.datetime.now().isoformat(timespec='seconds')} attempt {os.environ['CLB_ATTEMPT']}: {files} files of {source}")
