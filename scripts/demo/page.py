"""page.py ADDRESS PORT WHO: a web server of one page, which names who asks."""
import http.server
import sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"Hello from {sys.argv[3]}, nobody can call me from outside.\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
