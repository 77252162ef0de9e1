import Autodiff

/// A classification head to write with a model, and what `config.json` says about it.
public struct SavedClassifier {
  /// Its tensors, those that the model holds included, but for layers of the model itself in front of it.
  public var parameters: [Parameter]
  /// The class that transformers opens the checkpoint with.
  public var architecture: String
  /// The names of the labels in the order of the scores; empty for a single value.
  public var labels: [String]

  public init(parameters: [Parameter], architecture: String, labels: [String]) {
    self.parameters = parameters
    self.architecture = architecture
    self.labels = labels
  }

  /// The keys that it changes; a single value has one nameless label and the type of a regression.
  var configuration: [String: Any] {
    let names = labels.isEmpty ? ["LABEL_0"] : labels
    return [
      "architectures": [architecture],
      "id2label": Dictionary(uniqueKeysWithValues: names.enumerated().map { (String($0), $1) }),
      "label2id": Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) }),
      "problem_type": labels.isEmpty ? "regression" : "single_label_classification",
    ]
  }
}
