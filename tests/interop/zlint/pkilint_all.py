"""Prints the findings of pkilint for every given certificate (.pem) and CRL (.crl), one per line:
FILE SEVERITY CODE MESSAGE. It runs pkilint's own commands in one process, because loading is slow.
"""

import contextlib
import io
import json
import sys

from pkilint.bin import lint_crl, lint_pkix_cert

COMMON = ["-s", "NOTICE", "-f", "JSON"]

for path in sys.argv[1:]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if path.endswith(".crl"):
            lint_crl.main(["lint", "-t", "CRL", "-p", "PKIX", *COMMON, path])
        else:
            lint_pkix_cert.main(["lint", *COMMON, path])
    for result in json.loads(output.getvalue())["results"]:
        for finding in result["finding_descriptions"]:
            message = " ".join((finding["message"] or "").split())
            print(path, finding["severity"], finding["code"], message)
