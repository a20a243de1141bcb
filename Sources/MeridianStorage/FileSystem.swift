import MeridianCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the stores do with files past SQLite. SQLite's own reads and writes go through its VFS; a disk that is
/// simulated gives both (`MeridianSimulation/Disk`).
package protocol FileSystem: Sendable {
    /// Holds a directory for one pair of stores until the result is released. The directory is made if need be.
    /// - Throws: `MeridianError` with `.directoryInUse` or `.storageFailed`.
    func lock(_ directory: String) throws -> any AnyObject & Sendable
    /// Whether there is anything in a file of that name.
    func hasFile(_ path: String) -> Bool
    /// All of a file; `nil` if there is none.
    func contents(of path: String) throws -> [UInt8]?
    /// Makes the names of newly created files durable.
    func sync(directory: String) throws
    /// Writes a small file in the place of an older one, durably.
    func replace(_ name: String, in directory: String, with text: String) throws
}

/// The operating system's files.
package struct POSIXFileSystem: FileSystem {
    package init() {}

    package func lock(_ directory: String) throws -> any AnyObject & Sendable {
        try DirectoryLock(directory: directory)
    }

    package func hasFile(_ path: String) -> Bool { DurableFiles.hasFile(path) }
    package func sync(directory: String) throws { try DurableFiles.sync(directory: directory) }

    package func replace(_ name: String, in directory: String, with text: String) throws {
        try DurableFiles.replace(name, in: directory, with: text)
    }

    package func contents(of path: String) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw MeridianError(.storageFailed, "\(path): read") }
        var contents = [UInt8](repeating: 0, count: Int(status.st_size))
        var offset = 0
        while offset < contents.count {
            let read = contents.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + offset, $0.count - offset, off_t(offset))
            }
            guard read >= 0 else { throw MeridianError(.storageFailed, "\(path): read") }
            if read == 0 { break }
            offset += read
        }
        return contents
    }
}
