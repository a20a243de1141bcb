import MeridianCore

/// Columns of which the latest write counts (LWW-Register, Shapiro et al. 2011).
package struct Register: Hashable, Sendable {
    package var content: [Value]
    package var stamp: WriteStamp

    package init(_ content: [Value], _ stamp: WriteStamp) {
        self.content = content
        self.stamp = stamp
    }

    func merged(with other: Register) -> Register {
        stamp < other.stamp || Planted.isOn(.incomingRegisterTaken) ? other : self
    }
}
