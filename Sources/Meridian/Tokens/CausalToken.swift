import MeridianCore

/// Proof of what a client has written or seen, to be handed to whoever reads next: `read(.after(token))`.
///
/// It is short text (44 letters, digits, `-` and `_`), so it fits a cookie, a header or a link, and another device or
/// service can use it. It covers any number of rows, tables and regions and names none of them: it holds a timestamp,
/// since timestamps order all commits of a cluster, and which cluster that is. An authentication code (HMAC-SHA256, 128
/// bits) under the cluster's key makes it tamper-proof: a client cannot make up a timestamp of the future that readers
/// would wait for. It is not secret: whoever has it can tell when the write or the read was.
public struct CausalToken: Hashable, Sendable, LosslessStringConvertible {
    /// Of what the token says, and unproven until a cluster has checked it.
    let timestamp: Timestamp
    let fingerprint: UInt64
    let code: [UInt8]

    static let version: UInt8 = 1
    static let codeByteCount = 16

    init(timestamp: Timestamp, fingerprint: UInt64, code: [UInt8]) {
        precondition(code.count == Self.codeByteCount, "an authentication code of \(code.count) bytes")
        self.timestamp = timestamp
        self.fingerprint = fingerprint
        self.code = code
    }

    /// A token that no cluster has made.
    static let blank = CausalToken(
        timestamp: .zero, fingerprint: 0, code: [UInt8](repeating: 0, count: codeByteCount))

    /// The later of two: who reads after it sees what was proven by either.
    /// - Throws: `.foreignToken` when they are of two clusters.
    public func merged(with other: CausalToken) throws(MeridianError) -> CausalToken {
        guard fingerprint == other.fingerprint else { throw Self.foreign }
        return timestamp >= other.timestamp ? self : other
    }

    static var foreign: MeridianError {
        MeridianError(
            .foreignToken,
            "the causal token is another cluster's; keep the tokens of each cluster apart, or read without")
    }

    // MARK: Text

    public var description: String {
        var bytes: [UInt8] = [Self.version]
        for word in [fingerprint, UInt64(bitPattern: timestamp.rawValue)] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return TokenText.encode(bytes + code)
    }

    /// `nil` for text that is no token. Whether a cluster has made it shows when it is used.
    public init?(_ description: String) {
        guard let bytes = TokenText.decode(description), bytes.count == 17 + Self.codeByteCount,
            bytes[0] == Self.version
        else { return nil }
        func word(_ start: Int) -> UInt64 { bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(
            timestamp: Timestamp(rawValue: Int64(bitPattern: word(9))), fingerprint: word(1), code: Array(bytes[17...]))
    }
}

extension CausalToken: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let token = CausalToken(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "this is not a causal token")
        }
        self = token
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
