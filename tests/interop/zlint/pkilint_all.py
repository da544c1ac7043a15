"""pkilint's findings about every certificate (.pem) and CRL (.crl) that is named, one a line:
FILE SEVERITY CODE MESSAGE. It runs pkilint's own commands, in one process: loading it is the slow part.
"""

import contextlib
import io
import json
import sys

from pkilint.bin import lint_crl, lint_pkix_cert

COMMON = ["-s", "NOTICE", "-f", "JSON"]

for path in sys.argv[1:]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if path.endswith(".crl"):
            lint_crl.main(["lint", "-t", "CRL", "-p", "PKIX", *COMMON, path])
        else:
            lint_pkix_cert.main(["lint", *COMMON, path])
    for result in json.loads(said.getvalue())["results"]:
        for finding in result["finding_descriptions"]:
            message = " ".join((finding["message"] or "").split())
            print(path, finding["severity"], finding["code"], message)
