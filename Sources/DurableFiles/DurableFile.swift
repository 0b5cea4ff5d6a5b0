import Foundation

/// The few file operations that the stores do themselves, with errors of theirs.
package enum DurableFile<Failure: FileFailure> {
    /// What the last failed call means for `path`.
    package static func failure(_ operation: String, _ path: String) -> Failure {
        let code = errno
        switch code {
        case EROFS, EACCES, EPERM: return .readOnly(path: path)
        case ENOSPC, EDQUOT: return .full(path: path)
        default: return .io(operation: operation, path: path, reason: String(cString: strerror(code)))
        }
    }

    /// Whether there is anything of that name.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Makes the directory unless it is there.
    /// - Parameter syncName: also syncs its parent; otherwise that is up to the caller.
    package static func createDirectory(_ path: String, syncName: Bool = true) throws(Failure) {
        if FileCalls.current.makeDirectory(path) == 0 {
            if syncName { try syncDirectory(parent(of: path)) }
            return
        }
        guard errno == EEXIST else { throw failure("making the directory", path) }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw .io(operation: "making the directory", path: path, reason: "a file of that name exists")
        }
    }

    /// The directory that a file is in.
    package static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes renames and new files of a directory survive a power failure.
    package static func syncDirectory(_ path: String) throws(Failure) {
        guard FileCalls.current.syncDirectory(path) == 0 else {
            throw failure("syncing the directory", path)
        }
    }

    /// The whole file, or nil if there is none.
    package static func read(_ path: String) throws(Failure) -> [UInt8]? {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("opening", path)
        }
        defer { Foundation.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("reading", path) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            // There is an address because the buffer is not empty here.
            let count = bytes.withUnsafeMutableBytes { buffer in
                Foundation.read(descriptor, buffer.baseAddress! + done, buffer.count - done)
            }
            if count < 0 { throw failure("reading", path) }
            if count == 0 { break }
            done += count
        }
        bytes.removeLast(bytes.count - done)
        return bytes
    }

    /// Writes a new file beside the old one, syncs it and renames it over (D21).
    /// - Parameter syncName: also makes the name durable; otherwise that is up to the caller.
    package static func replace(_ path: String, with bytes: [UInt8], syncName: Bool = true) throws(Failure) {
        let temporary = path + ".new"
        let descriptor = try open(
            temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, operation: "creating")
        do {
            defer { close(descriptor) }
            try writeAll(descriptor, bytes, at: 0, path: temporary)
            try sync(descriptor, path: temporary)
        }
        try rename(temporary, to: path)
        if syncName { try syncDirectory(parent(of: path)) }
    }

    /// Brings what was written to an open file onto the disk.
    /// - Parameter isWhole: false for no more than what is needed to read it; its length is part of that.
    package static func sync(_ descriptor: Int32, path: String, isWhole: Bool = true) throws(Failure) {
        guard FileCalls.current.sync(descriptor, isWhole) == 0 else { throw failure("syncing", path) }
    }

    /// Opens a file that is written to with the functions here.
    /// - Parameter flags: of open(2).
    package static func open(
        _ path: String, _ flags: Int32, operation: String = "opening"
    ) throws(Failure) -> Int32 {
        let descriptor = FileCalls.current.open(path, flags)
        guard descriptor >= 0 else { throw failure(operation, path) }
        return descriptor
    }

    /// Closes what `open` opened.
    package static func close(_ descriptor: Int32) { _ = FileCalls.current.close(descriptor) }

    /// Writes over a part of an open file, or behind its end.
    package static func writeAll(
        _ descriptor: Int32, _ bytes: [UInt8], at offset: Int, path: String
    ) throws(Failure) {
        let calls = FileCalls.current
        var done = 0
        while done < bytes.count {
            // There is an address because the buffer is not empty here.
            let count = bytes.withUnsafeBytes { buffer in
                calls.write(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
            }
            guard count > 0 else { throw failure("writing", path) }
            done += count
        }
    }

    /// The caller syncs the directory.
    package static func rename(_ path: String, to name: String) throws(Failure) {
        guard FileCalls.current.rename(path, name) == 0 else { throw failure("renaming", path) }
    }

    /// Deletes a file, unless there is none. The caller syncs the directory.
    package static func remove(_ path: String) throws(Failure) {
        guard FileCalls.current.unlink(path) == 0 || errno == ENOENT else { throw failure("deleting", path) }
    }

    /// The names in a directory; empty if there is none.
    package static func names(in path: String) throws(Failure) -> [String] {
        guard exists(path) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw .io(operation: "listing the directory", path: path, reason: "\(error)")
        }
    }
}
