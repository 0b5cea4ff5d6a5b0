import MeshProtocol
import Testing

@Suite("Addresses of the mesh as text") struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1:7430", "127.0.0.1", 7430), ("node.example:1", "node.example", 1),
        ("[::1]:65535", "::1", 65_535), ("a:0", "a", 0),
    ])
    func bothWays(_ text: String, _ host: String, _ port: UInt16) {
        #expect(MeshAddress(text) == MeshAddress(host: host, port: port))
        #expect(MeshAddress(text)?.description == text)
    }

    @Test(arguments: [
        "", ":", "a", "a:", ":1", "a:65536", "a:-1", "a:+1", "a: 1", "::1:7", "[a]:1", "[::1]", "[]:1",
        "a b:1",
        "a\n:1", "ü:1", "[::1:7", "a]:1", String(repeating: "a", count: 254) + ":1",
    ])
    func nothingElse(_ text: String) { #expect(MeshAddress(text) == nil) }
}
