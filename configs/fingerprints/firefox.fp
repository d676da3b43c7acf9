# Firefox 148.

suites 1301 1303 1302 c02b c02f cca9 cca8 c02c c030 c00a c009 c013 c014 009c 009d 002f 0035

extension 0000 sni
extension 0017                          # extended master secret
extension ff01 00                       # renegotiation info
extension 000a groups 11ec 001d 0017 0018 0019 0100 0101
extension 000b 0100                     # point formats: uncompressed
extension 0010 alpn
extension 0005 01 0000 0000             # status request: OCSP
extension 0022 0008 0403 0503 0603 0203 # delegated credentials
extension 0012                          # signed certificate timestamps
extension 0033 shares 11ec 001d 0017
extension 002b versions 0304 0303
extension 000d 0016 0403 0503 0603 0804 0805 0806 0401 0501 0601 0203 0201
extension 001c 4001                     # record size limit
extension 001b 06 0001 0002 0003        # compressed certificates: zlib, brotli, zstd
extension fe0d ech 1,3 239

ja3 7704a11cf87dfcf33080b90ce11d5527
ja4 t13d1715h2_5b57614c22b0_a54fffd0eb61
