// Memory compared and copied by the C library: rows and keys cross from SQLite without an array in between.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension UnsafeRawBufferPointer {
    @inline(__always)
    func hasSameBytes(as other: [UInt8]) -> Bool {
        other.withUnsafeBytes { count == $0.count && (count == 0 || memcmp(baseAddress!, $0.baseAddress!, count) == 0) }
    }
}
