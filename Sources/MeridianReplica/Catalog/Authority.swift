import MeridianCore
import MeridianPlacement

/// A region's permission to serve the tables that fail over by themselves.
///
/// A home region that is cut off must have stopped before another one goes on in its place, or two would acknowledge
/// commits of the same rows. Raft's lease cannot see to that: all voters stand at home and still agree. So the region
/// keeps a row of the system range that says until when it may serve, and renews it with ordinary commits
/// (`RegionAuthority`). The system range survives the loss of a region, so whoever can renew is on the side of the
/// majority. Leaseholders know the row by applying the system range's log, as they know tables, and serve while their
/// clock's `latest` lies below it. A failover is a commit to the same log, made when every clock is past the row's time
/// and on condition that the row is unchanged: it is ordered against renewals, and a node that applies a later renewal
/// has applied the failover before it.
///
/// HAZARD: it stands on the true time lying inside the clocks' intervals, as leases do.
package enum Authority {
    /// A row of the system range.
    package struct Grant: Hashable, Sendable {
        package var region: Region
        package var until: Timestamp

        package init(region: Region, until: Timestamp) {
            self.region = region
            self.until = until
        }
    }

    package static func key(of region: Region) throws(MeridianError) -> Key {
        try Catalog.key("authority", region.rawValue)
    }

    package static func mutation(_ grant: Grant) throws(MeridianError) -> Mutation {
        let values: [Value] = [.text(grant.region.rawValue), .integer(grant.until.rawValue)]
        return Mutation(key: try key(of: grant.region), value: try RowCoding.encode(values, name: "system.authority"))
    }

    private static let span: KeySpan = {
        guard let key = try? Catalog.key("authority", "") else { preconditionFailure("the system keys are malformed") }
        return KeySpan(prefix: Array(key.bytes.dropLast(2)))
    }()

    /// The grant in a row; `nil` when the row is of something else.
    package static func grant(in mutation: Mutation) throws(MeridianError) -> Grant? {
        guard span.contains(mutation.key), let value = mutation.value else { return nil }
        let values = try RowCoding.decode(value, name: "system.authority")
        guard values.count == 2, case .text(let region) = values[0], case .integer(let until) = values[1] else {
            throw MeridianError(.corruption, "a row of system.authority is malformed")
        }
        return Grant(region: Region(region), until: Timestamp(rawValue: until))
    }
}
