import MeridianCore

/// The checksum of a version: over its key, its timestamp and its value, so that a value under a wrong key is found
/// out although it is whole.
enum VersionCoding {
    @inline(__always)
    static func checksum(_ key: UnsafeRawBufferPointer, _ timestamp: Int64, _ value: UnsafeRawBufferPointer?) -> UInt32
    {
        var checksum = Checksum()
        checksum.combine(key)
        checksum.combine(UInt64(bitPattern: timestamp))
        if let value { checksum.combine(value) } else { checksum.combine(UInt64.max) }
        return checksum.value
    }
}

/// Remembered requests as bytes: 32 for each.
enum OutcomeCoding {
    static let byteCount = 32

    static func encode(_ outcome: RequestMemory.Outcome, to writer: inout ByteWriter) {
        writer.put(outcome.request.high)
        writer.put(outcome.request.low)
        writer.put(outcome.applied.timestamp.rawValue)
        writer.put(outcome.applied.index.rawValue)
    }

    static func decode(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> RequestMemory.Outcome {
        let request = RequestID(high: try reader.uint64(), low: try reader.uint64())
        let timestamp = Timestamp(rawValue: try reader.int64())
        let index = LogIndex(try reader.uint64())
        return RequestMemory.Outcome(request: request, applied: AppliedRequest(timestamp: timestamp, index: index))
    }
}
