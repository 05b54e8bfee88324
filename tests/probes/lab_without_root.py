"""Gives up root's capabilities for good, then becomes Python with the arguments given.

User 0 keeps CAP_SETFCAP, without which the kernel lets no user 0 be mapped into a namespace; all others are gone, as
for any user. `python lab_without_root.py -m pytest ...`
"""

import ctypes
import os
import sys

PR_CAPBSET_DROP, CAP_SETFCAP, CAPABILITIES = 24, 31, 64

if __name__ == "__main__":
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(CAPABILITIES):
        if capability != CAP_SETFCAP:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
