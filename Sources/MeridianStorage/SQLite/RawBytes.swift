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
