import Autodiff
import Compute

/// Several tuned prompts for one frozen model, for which examples stand in a batch once for each (Lester et al., 2021,
/// section 6): the first with the first prompt, the second with the second, and so on in turns.
public final class EnsemblePrompt: Prompt {
  public let members: [any Prompt]
  public let parameters: [Parameter] = []
  public let featureForm: FeatureForm

  /// - Throws: `MethodError.refused` for prompts that are not virtual tokens.
  public init(_ members: [any Prompt]) throws {
    precondition(!members.isEmpty, "an ensemble has members")
    for member in members where !(member is any VectorPrompt || member is PlacedPrompt) {
      throw MethodError.refused("prompts that vote are virtual tokens; keys and values of layers cannot share a batch")
    }
    let forms = Set(members.filter(\.needsFeatures).map(\.featureForm))
    guard forms.count <= 1 else {
      throw MethodError.refused("prompts that vote read the same features; these differ in --features")
    }
    self.members = members
    featureForm = forms.first ?? .mean
  }

  public var length: Int { members.map(\.length).max() ?? 0 }
  public var variesByExample: Bool { true }
  public var needsFeatures: Bool { members.contains(where: \.needsFeatures) }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    let count = length
    var tables: [Variable] = []
    var first = 0
    var sources = [Int32](repeating: 0, count: batch.texts.count * count)
    var placements = batch.texts.map { _ in PromptPlacement(front: [], back: []) }
    for (number, member) in members.enumerated() {
      let own = stride(from: number, to: batch.texts.count, by: members.count).map { $0 }
      guard !own.isEmpty else { continue }
      let part = PromptBatch(
        texts: own.map { batch.texts[$0] }, closings: own.map { batch.closings[$0] },
        features: {
          try tape.backend.gatherRows(try batch.features(), try tape.backend.indices(own.map(Int32.init)))
        })
      let reading = try member.reading(of: part, on: tape)
      guard let vectors = reading.vectors else { continue }
      tables.append(vectors)
      for (place, example) in own.enumerated() {
        let start = first + (reading.isShared ? 0 : place * reading.count)
        // Rows behind a shorter prompt are never read.
        for row in 0..<reading.count { sources[example * count + row] = Int32(start + row) }
        placements[example] =
          reading.placements?[place] ?? PromptPlacement(front: Array(0..<reading.count), back: [])
      }
      first += vectors.shape[0]
    }
    guard !tables.isEmpty, count > 0 else { return PromptReading() }
    let vectors = try tape.gatherRows(try tape.concatRows(tables), try tape.backend.indices(sources))
    return PromptReading(vectors: vectors, count: count, isShared: false, placements: placements)
  }

  public func peftTensors(on backend: any ComputeBackend) -> PEFTPrompt? { nil }
}
