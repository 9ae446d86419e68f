# %% [markdown]
# # `autoencoder`: positions that were never seen
#
# **Question.** An autoencoder is trained on sprites that all lie in one quadrant of the image. What does it make of
# sprites elsewhere, and does it matter which points its strides keep?
#
# **Prediction.** With strides that keep points which move along with the input (Xu et al. 2021), the code is an
# invariant of the image, and the place of the single point that is left is its pose. So the error depends on what is
# shown, not on where: outside the quadrant it is that inside, up to the sampling of sprites at real positions. We call
# it alike up to 1.2 times. The same layers with plain strides have learnt the positions, too: outside, their error is
# at least three times the equivariant network's.
#
# **Result.** Both have 188,769 weights, 600 steps of training and the same images. The numbers below are those of
# `equivariance run autoencoder --full`, three sizes of the training set and three seeds each; the file is in the
# repository, and this page reads it. In all nine pairs the equivariant network's error outside is that inside, from
# 0.94 to 1.03 times; the plain one's is 28 times the equivariant one's or more.

# %% tags=["hide-input"]
import xarray as xr

from equivariance.experiments import EXPERIMENTS

told = EXPERIMENTS["autoencoder"].told(xr.load_dataset("autoencoder.nc"))
print(told.text)

# %% tags=["hide-input"]
told.pictures()["autoencoder"]

# %% [markdown]
# Errors are ‖reconstruction − image‖² / ‖image‖², means over 300 images. A line in the picture is one training; the
# images are of the first.

# %% [markdown]
# **Command.** `equivariance run autoencoder` trains on 1,000 images with one seed (a minute and a quarter),
# `--full` all eighteen networks (a quarter of an hour); `--images`, `--steps`, `--latent` and `--seed` change the
# training.

# %% tags=["remove-cell"]
assert all(finding.holds for finding in told.findings)
