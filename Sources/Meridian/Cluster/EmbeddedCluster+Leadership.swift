import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Who leads which range, and how to move that.
extension EmbeddedCluster {
    /// The node that holds the lease on a table's rows of one home region; `nil` while nobody does.
    /// - Parameter region: the rows' home region; not needed where a table has one.
    /// - Throws: what making or finding the table throws, and `.unknownRegion`.
    public func leaseholder<Row>(of table: Table<Row>, in region: Region? = nil) async throws -> NodeID? {
        leaseholder(of: try await range(of: table, in: region).id)
    }

    /// Hands the lease on a table's rows of one home region to another node. Operations that are under way are not
    /// lost: they go on at the new leaseholder.
    /// - Throws: `.placementImpossible` when the node holds no voting replica of those rows; `.deadlineExceeded`.
    public func transferLease<Row>(
        of table: Table<Row>, in region: Region? = nil, to node: NodeID, deadline: Duration = .seconds(10)
    ) async throws {
        let range = try await range(of: table, in: region)
        guard range[node]?.role == .voter else {
            let voters = range.members.filter { $0.role == .voter }.map { "\($0.node)" }.joined(separator: ", ")
            throw MeridianError(
                .placementImpossible,
                "\(node) holds no voting replica of table \(table.name) in \(range.home); choose one of \(voters)")
        }
        let database = Database(host: self, region: range.home)
        _ = try await database.call(range.id, .request(.transferLease(to: node)), end: self.deadline(after: deadline))
    }

    private func range<Row>(of table: Table<Row>, in region: Region?) async throws -> RangeDescriptor {
        guard let home = region ?? topology.regions.first else {
            throw MeridianError(.invalidTopology, "the topology has no region")
        }
        let database = Database(host: self, region: topology.regions[0])
        let resolved = try await database.resolve(table, end: self.deadline(after: Database.defaultDeadline))
        return try resolved.range(in: home)
    }
}
