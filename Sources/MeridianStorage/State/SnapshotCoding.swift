import MeridianCore

/// A range's rows as the bytes of a snapshot: records, one after the other, cut into chunks between records.
///
/// The first chunk begins with the format (8 bits). A version: tag 1, key, timestamp, value, its checksum. A remembered
/// request: tag 2 and 32 bytes. The end: tag 3, the number of versions and of requests, and the sum of all checksums;
/// whoever receives the snapshot counts along and accepts nothing else.
enum SnapshotCoding {
    static let format: UInt8 = 1

    enum Tag {
        static let version: UInt8 = 1
        static let request: UInt8 = 2
        static let end: UInt8 = 3
    }

    /// What a snapshot has contained so far.
    struct Totals: Hashable, Sendable {
        var versionCount: UInt64 = 0
        var requestCount: UInt64 = 0
        var checksumSum: UInt64 = 0

        mutating func add(version checksum: UInt32) {
            versionCount += 1
            checksumSum &+= UInt64(checksum)
        }

        mutating func add(_ outcome: RequestMemory.Outcome) {
            requestCount += 1
            checksumSum &+= outcome.request.low &+ UInt64(bitPattern: outcome.applied.timestamp.rawValue)
            checksumSum &+= outcome.request.high &+ outcome.applied.index.rawValue
        }
    }

    /// Decodes chunk after chunk.
    struct Decoder {
        private var totals = Totals()
        private var isFirst = true
        private var hasEnded = false
        /// The last key and timestamp: versions come in order, each once.
        private var last: (key: [UInt8], timestamp: Int64)?

        /// - Throws: `ByteReader.Malformed` when these are no snapshot's next bytes, or what the closures throw.
        mutating func decode(
            _ bytes: UnsafeRawBufferPointer,
            version: (_ key: [UInt8], _ timestamp: Timestamp, _ value: [UInt8]?) throws -> Void,
            outcome: (RequestMemory.Outcome) throws -> Void
        ) throws {
            var reader = ByteReader(bytes)
            if isFirst {
                isFirst = false
                guard try reader.byte() == SnapshotCoding.format else { throw ByteReader.Malformed() }
            }
            while reader.remaining > 0 {
                guard !hasEnded else { throw ByteReader.Malformed() }
                switch try reader.byte() {
                case Tag.version:
                    let key = try reader.counted()
                    let timestamp = try reader.int64()
                    let value = try reader.countedOrNone()
                    let checksum = try reader.uint32()
                    guard VersionCoding.checksum(key, timestamp, value) == checksum, isAfterLast(key, timestamp) else {
                        throw ByteReader.Malformed()
                    }
                    last = (key, timestamp)
                    totals.add(version: checksum)
                    try version(key, Timestamp(rawValue: timestamp), value)
                case Tag.request:
                    let decoded = try OutcomeCoding.decode(&reader)
                    totals.add(decoded)
                    try outcome(decoded)
                case Tag.end:
                    let versionCount = try reader.uint64()
                    let requestCount = try reader.uint64()
                    let sum = try reader.uint64()
                    let stated = Totals(versionCount: versionCount, requestCount: requestCount, checksumSum: sum)
                    guard stated == totals else { throw ByteReader.Malformed() }
                    hasEnded = true
                default:
                    throw ByteReader.Malformed()
                }
            }
        }

        func expectEnd() throws {
            guard hasEnded else { throw ByteReader.Malformed() }
        }

        private func isAfterLast(_ key: [UInt8], _ timestamp: Int64) -> Bool {
            guard let last else { return true }
            return last.key == key ? timestamp < last.timestamp : last.key.lexicographicallyPrecedes(key)
        }
    }
}

extension VersionCoding {
    static func checksum(_ key: [UInt8], _ timestamp: Int64, _ value: [UInt8]?) -> UInt32 {
        key.withUnsafeBytes { key in
            guard let value else { return checksum(key, timestamp, nil) }
            return value.withUnsafeBytes { checksum(key, timestamp, $0) }
        }
    }
}
