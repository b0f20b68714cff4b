# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens an address of https://ui.perfetto.dev in Chromium without a screen, with a page of our own in its
place, and prints what the page then says: the length and the SHA-256 of the trace that the address
names, or that it could not be fetched. The page has the origin of the real one, so the browser judges
by the same rules.

    perfetto_page.py URL [ORIGIN]

With ORIGIN, such as https://example.com, the page has that origin instead.
"""

import http.server
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

PAGE = b"""<!doctype html><title>page</title><body>waiting<script>
(async () => {
  let said;
  try {
    const answer = await fetch(location.hash.split("url=")[1]);
    const bytes = await answer.arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    said = `fetched ${answer.status} ${bytes.byteLength} ${hex}`;
  } catch (error) {
    said = `failed ${error}`;
  }
  document.body.textContent = `[[${said}]]`;
})();
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def main():
    url = urlsplit(sys.argv[1])
    origin = sys.argv[2] if len(sys.argv) > 2 else f"{url.scheme}://{url.netloc}"
    host = urlsplit(origin).hostname
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder, "key"), Path(folder, "certificate")
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        make += ["-subj", f"/CN={host}", "-keyout", key, "-out", certificate]
        subprocess.run(make, check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        browser += ["--ignore-certificate-errors", f"--user-data-dir={folder}/profile"]
        browser += [f"--host-resolver-rules=MAP {host} 127.0.0.1:{server.server_port}"]
        # Nobody is there to be asked whether the page may reach this machine.
        browser += ["--disable-features=LocalNetworkAccessChecks", "--virtual-time-budget=20000"]
        browser += [f"{origin}/#{url.fragment}"]
        done = subprocess.run(browser, capture_output=True, text=True, timeout=120)
        said = re.search(r"\[\[(.*?)\]\]", done.stdout)
        if not said:
            sys.exit(f"the page says nothing: {done.stdout}\n{done.stderr}")
        print(said[1])


main()
