import Meridian
