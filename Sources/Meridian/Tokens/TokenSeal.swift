import Crypto
import MeridianCore

/// Makes a cluster's causal tokens and checks them.
///
/// The key is drawn at random when the cluster is made and kept with its identity (`ClusterDirectory`). Whoever has it
/// can make tokens, and nothing else: it opens no rows. Codes are compared in constant time. The fingerprint that tells
/// clusters apart follows from the key, which it does not reveal.
package struct TokenSeal: Sendable {
    package static let keyByteCount = 32

    private let key: SymmetricKey
    private let fingerprint: UInt64

    /// Precondition: the key has `keyByteCount` bytes.
    package init(key: [UInt8]) {
        precondition(key.count == Self.keyByteCount, "a key of \(key.count) bytes")
        self.key = SymmetricKey(data: key)
        let name = HMAC<SHA256>.authenticationCode(for: Array("meridian cluster".utf8), using: self.key)
        self.fingerprint = name.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Draws a key.
    package static func drawKey() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    func token(at timestamp: Timestamp) -> CausalToken {
        let code = HMAC<SHA256>.authenticationCode(for: message(timestamp), using: key)
        return CausalToken(
            timestamp: timestamp, fingerprint: fingerprint, code: Array(code.prefix(CausalToken.codeByteCount)))
    }

    /// An authentication code over what the cluster vouches for, in hexadecimal.
    func code(over bytes: [UInt8]) -> String {
        Hexadecimal.text(
            HMAC<SHA256>.authenticationCode(for: Array("meridian erasure".utf8) + bytes, using: key))
    }

    /// The name of a row under which it can be known again, and not read: what stays of a key that was erased.
    func mark(ofRow bytes: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array("meridian erased row".utf8) + bytes, using: key))
    }

    /// A token of the beginning of time, for tests.
    package var sample: CausalToken { token(at: .zero) }

    /// What a token proves.
    /// - Throws: `.foreignToken` for another cluster's, `.invalidToken` for one that this cluster has not made.
    func timestamp(of token: CausalToken) throws(MeridianError) -> Timestamp {
        guard token.fingerprint == fingerprint else { throw CausalToken.foreign }
        let expected = self.token(at: token.timestamp).code
        let difference = zip(expected, token.code).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
        guard difference == 0 else {
            throw MeridianError(
                .invalidToken,
                "the causal token was altered, or made up; pass tokens on as they were given, or read without")
        }
        return token.timestamp
    }

    private func message(_ timestamp: Timestamp) -> [UInt8] {
        var bytes: [UInt8] = [CausalToken.version]
        for word in [fingerprint, UInt64(bitPattern: timestamp.rawValue)] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return bytes
    }
}
