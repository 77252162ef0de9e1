import PromptTuning

/// What a validation is judged by when the best state is kept.
///
/// The papers differ: Sun et al. keep the lowest loss, the released code of Dynamic Prompting and of P-tuning v2 the
/// highest accuracy.
public enum BestMetric: String, Sendable, Hashable, Codable, CaseIterable {
  /// The lower, the better.
  case loss
  /// The higher, the better; the lower loss where it is equal.
  case accuracy
  /// The higher, the better; undefined is worse than everything.
  case pearson

  /// A number that is higher where the validation is better.
  ///
  /// - Parameter metrics: the further numbers of the validation's line.
  func score(loss: Double, metrics: [MetricsLine.Field]) -> Double {
    guard self != .loss else { return -loss }
    guard case .number(let value?)? = metrics.first(where: { $0.name == rawValue })?.value else { return -.infinity }
    return value
  }

  /// - Throws: `MethodError.refused` where a validation has no such number.
  func check(_ answers: HeadAnswers, hasValidation: Bool) throws {
    guard self != .loss else { return }
    guard hasValidation else { throw MethodError.refused("--best-metric \(rawValue) needs --validation") }
    let known: BestMetric =
      switch answers {
      case .text: .loss
      case .label, .labels: .accuracy
      case .value: .pearson
      }
    guard self == known else {
      throw MethodError.refused(
        "--best-metric \(rawValue): validations of this head have loss"
          + (known == .loss ? " alone" : " and \(known.rawValue)"))
    }
  }
}

extension RunConfiguration {
  /// - Throws: `MethodError.refused` if the best state is to be chosen by a number that validations do not have.
  public func checkBestMetric(_ answers: HeadAnswers) throws {
    try options.bestMetric.check(answers, hasValidation: !validation.isEmpty)
  }
}
