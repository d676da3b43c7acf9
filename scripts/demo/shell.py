"""shell.py PORT WHERE: a shell on a port, each line answered as it comes, as ssh would."""
import socketserver
import subprocess
import sys


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(f"Welcome to {sys.argv[2]}.\n".encode())
        for line in self.rfile:
            p = subprocess.run(["sh", "-c", line.decode()], capture_output=True, check=False)
            self.wfile.write(p.stdout + p.stderr)
        self.wfile.write(b"logout\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


Server(("", int(sys.argv[1])), Session).serve_forever()
