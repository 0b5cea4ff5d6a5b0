/// What the error of a store must be able to say about its files.
package protocol FileFailure: Error {
    /// The file or directory may not be written.
    static func readOnly(path: String) -> Self
    /// The disk or the quota is used up.
    static func full(path: String) -> Self
    /// The operating system refused something else.
    static func io(operation: String, path: String, reason: String) -> Self
}
