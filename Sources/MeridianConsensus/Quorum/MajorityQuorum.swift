import MeridianCore

/// What an election among some voters has come to.
package enum VoteResult: Hashable, Sendable {
    /// A quorum granted. Final: a grant is not taken back within a term.
    case won
    /// A quorum can no longer grant.
    case lost
    /// Too few have answered.
    case pending
}

/// The majorities of one set of voters (Raft §5.2, §5.3), as plain arithmetic.
///
/// Promises: any two majorities of one set share a voter; that is what every safety argument of Raft stands on.
/// It knows nothing of terms, logs or time: it is asked about votes, indexes, instants and timestamps alike.
///
/// Invariant: `voters` is sorted and names each node once. The empty set has no majority: it wins nothing and reaches
/// nothing. (`JointQuorum` decides what an absent half means.)
package struct MajorityQuorum: Hashable, Sendable {
    package let voters: [NodeID]

    package init(voters: [NodeID]) {
        self.voters = voters.sorted()
        for pair in zip(self.voters, self.voters.dropFirst()) {
            precondition(pair.0 != pair.1, "voter \(pair.0) counted twice in \(voters)")
        }
    }

    /// The smallest number of voters any two groups of which intersect.
    package var size: Int { voters.count / 2 + 1 }

    /// - Parameter vote: `true` for a grant, `false` for a refusal, `nil` while unanswered.
    package func voteResult(_ vote: (NodeID) -> Bool?) -> VoteResult {
        guard !voters.isEmpty else { return .lost }
        var granted = 0
        var unanswered = 0
        for voter in voters {
            switch vote(voter) {
            case true?: granted += 1
            case nil: unanswered += 1
            case false?: break
            }
        }
        if granted >= size || Planted.isOn(.electOneShortOfAMajority) && granted >= size - 1 { return .won }
        return granted + unanswered >= size ? .pending : .lost
    }

    /// The highest value that a majority has reached: `size` voters stand at or above it, and at no higher value do
    /// as many. With match indexes this is the index that a majority holds; with promised times it is the lease.
    ///
    /// Quadratic and free of allocations, which for the handful of voters that a group has beats sorting.
    package func highestReached<Value: Comparable>(floor: Value, _ value: (NodeID) -> Value) -> Value {
        var highest = floor
        for candidate in voters {
            let reached = value(candidate)
            guard reached > highest else { continue }
            var supporters = 0
            for voter in voters where value(voter) >= reached { supporters += 1 }
            if supporters >= size || Planted.isOn(.commitOneShortOfAMajority) && supporters >= size - 1 {
                highest = reached
            }
        }
        return highest
    }
}
