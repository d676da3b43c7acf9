# Safari of iOS 14: no post-quantum key, for servers that cannot take one.

suites grease 1301 1302 1303 c02c c02b cca9 c030 c02f cca8 c024 c023 c00a c009 c028 c027 c014 c013
suites 009d 009c 003d 003c 0035 002f c008 c012 000a

extension grease
extension 0000 sni
extension 0017                          # extended master secret
extension ff01 00                       # renegotiation info
extension 000a groups grease 001d 0017 0018 0019
extension 000b 0100                     # point formats: uncompressed
extension 0010 alpn
extension 0005 01 0000 0000             # status request: OCSP
extension 000d 0016 0403 0804 0401 0503 0203 0805 0805 0501 0806 0601 0201
extension 0012                          # signed certificate timestamps
extension 0033 shares grease 001d
extension 002d 01 01                    # PSK with key exchange
extension 002b versions grease 0304 0303 0302 0301
extension grease 00
extension 0015 padding

ja3 656b9a2f4de6ed4909e157482860ab3d
ja4 t13d2613h2_2802a3db6c62_845d286b0d67
