import MeridianCore

/// What is wrong with a simulation that was asked for, or with how it was used. A broken promise of the store is not
/// an error of this type but a `SimulationReport` with violations.
public enum SimulationError: Error, Sendable, Hashable, CustomStringConvertible {
    case unknownFault(String)
    case unknownWorkload(String, known: [String])
    /// The faults that were asked for leave no quorum with a good copy, so nothing could be concluded from the run.
    case impossiblePlan(String)
    /// The user's own code has not ended when the virtual time for it was over.
    case unfinished(String)
    /// The user's own code started work that the simulation does not control.
    case escaped([String])
    /// A promise of the store was broken while the user's code ran.
    case violated([String])

    public var description: String {
        switch self {
        case .unknownFault(let name):
            return "there is no fault \"\(name)\"; the known ones are all, standard, none, or a list of "
                + FaultKind.allCases.map(\.rawValue).joined(separator: ",")
        case .unknownWorkload(let name, let known):
            return "there is no workload \"\(name)\"; the known ones are " + known.joined(separator: ", ")
        case .impossiblePlan(let reason): return "the fault plan is refused: \(reason)"
        case .unfinished(let reason): return reason
        case .escaped(let jobs):
            return "work escaped the simulation, so the run would not repeat: " + jobs.joined(separator: "; ")
        case .violated(let rules): return rules.joined(separator: "\n")
        }
    }
}
