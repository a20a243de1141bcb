import MeridianCore

/// What placement knows of a table. Its columns are opaque here: placement never looks into a row.
package struct TableDescriptor: Hashable, Sendable {
    package var id: TableID
    package var name: String
    package var locality: Locality
    package var goal: SurvivalGoal
    package var placement: Placement
    package var mode: ReplicationMode
    package var failover = FailoverPolicy.manual
    /// The encoded columns and key columns.
    package var schema: [UInt8]
    /// How concurrent writes come together, encoded; `nil` unless the table is active-active.
    package var resolvers: [UInt8]?

    package init(
        id: TableID, name: String, locality: Locality, goal: SurvivalGoal = .zone,
        placement: Placement = .unrestricted, mode: ReplicationMode = .synchronous, schema: [UInt8] = []
    ) {
        precondition(!name.isEmpty, "\(id) has an empty name")
        self.id = id
        self.name = name
        self.locality = locality
        self.goal = goal
        self.placement = placement
        self.mode = mode
        self.schema = schema
    }
}
