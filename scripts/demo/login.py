"""login.py ADDRESS COMMAND...: types commands into shell.py, each after the last one's answer."""
import socket
import sys

with socket.create_connection((sys.argv[1], 22), 10) as s:
    f = s.makefile("r")
    print(f.readline(), end="")
    for line in sys.argv[2:]:
        s.sendall(line.encode() + b"\n")
        print(f"> {line}\n{f.readline()}", end="")
    s.shutdown(socket.SHUT_WR)
    print(f.read(), end="")
