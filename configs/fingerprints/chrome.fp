# Chrome 133 and other browsers of its making (Edge, Brave, on desktops and Android).
# Shuffles its extensions since version 110, so there is no fixed JA3.

suites grease 1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035

extension grease
shuffle
extension 0000 sni
extension 0017                          # extended master secret
extension ff01 00                       # renegotiation info
extension 000a groups grease 11ec 001d 0017 0018
extension 000b 0100                     # point formats: uncompressed
extension 0023                          # session ticket: none
extension 0010 alpn
extension 0005 01 0000 0000             # status request: OCSP
extension 000d 0010 0403 0804 0401 0503 0805 0501 0806 0601
extension 0012                          # signed certificate timestamps
extension 0033 shares grease 11ec 001d
extension 002d 01 01                    # PSK with key exchange
extension 002b versions grease 0304 0303
extension 001b 02 0002                  # compressed certificates: brotli
extension 44cd alps
extension fe0d ech 1 144 176 208 240
end
extension grease 00

ja4 t13d1516h2_8daaf6152771_d8a2da3f94cd
