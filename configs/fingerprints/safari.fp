# Safari 26.

suites grease 1302 1303 1301 c02c c02b cca9 c030 c02f cca8 c00a c009 c014 c013 009d 009c 0035 002f
suites c008 c012 000a

extension grease
extension 0000 sni
extension 0017                          # extended master secret
extension ff01 00                       # renegotiation info
extension 000a groups grease 11ec 001d 0017 0018 0019
extension 000b 0100                     # point formats: uncompressed
extension 0010 alpn
extension 0005 01 0000 0000             # status request: OCSP
extension 000d 0014 0403 0804 0401 0503 0805 0805 0501 0806 0601 0201
extension 0012                          # signed certificate timestamps
extension 0033 shares grease 11ec 001d
extension 002d 01 01                    # PSK with key exchange
extension 002b versions grease 0304 0303
extension 001b 02 0001                  # compressed certificates: zlib
extension grease 00

ja3 ecdf4f49dd59effc439639da29186671
ja4 t13d2013h2_a09f3c656075_7f0f34a4126d
